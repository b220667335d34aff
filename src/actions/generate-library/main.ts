import { main } from "../runner.ts";
import { action } from "./action.ts";

await main(action);
