import { logOut } from "../log-out.ts";

await logOut();
