export {
	printSuiteResult,
	readSuiteResult,
	suiteResultFormat,
	verdicts,
	writeSuiteResult,
	type SuiteResult,
	type TestResult,
} from "./result.ts";
