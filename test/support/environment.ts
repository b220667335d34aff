// Before each test file: what is the same on every machine. Neither how somebody's git is set, nor the repository whose hook
// started the tests, is any matter of the repositories that tests make; and no proxy stands before servers of their own.
const kept = /^GIT_(?:EXEC_PATH|SSL_\w+|PROXY_SSL_\w+)$/;
for (const name of Object.keys(process.env)) {
	if (name.startsWith("GIT_") && !kept.test(name)) delete process.env[name];
}
process.env["GIT_CONFIG_NOSYSTEM"] = "1";
process.env["GIT_CONFIG_GLOBAL"] = "/dev/null";
const direct = process.env["no_proxy"] ?? process.env["NO_PROXY"];
process.env["no_proxy"] = process.env["NO_PROXY"] = [direct, "127.0.0.1"].filter(Boolean).join(",");
