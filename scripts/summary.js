/**
 * Prints `N passed, N failed[, N skipped]` from vitest's own JSON report, and above it which tests failed and why; exits 1 when
 * anything failed or was skipped.
 */
import { readFileSync } from 'node:fs';

/** Characters of what one test failed with. */
const MOST = 1_500;

const [file, alreadyFailed] = process.argv.slice(2);
const report = JSON.parse(readFileSync(file, 'utf8'));
const skipped = report.numPendingTests + report.numTodoTests;
const parts = [`${report.numPassedTests} passed`, `${report.numFailedTests} failed`];
if (skipped > 0) parts.push(`${skipped} skipped`);
const bad = alreadyFailed !== '0' || report.success !== true || skipped > 0 || report.numPassedTests === 0;
for (const suite of report.testResults) {
  if (suite.status !== 'failed') continue;
  process.stdout.write(`failed: ${suite.name.replace(`${process.cwd()}/`, '')} ${suite.message}\n`);
  for (const test of suite.assertionResults) {
    if (test.status === 'failed') {
      process.stdout.write(`  ${test.fullName}\n${test.failureMessages.join('\n').slice(0, MOST)}\n`);
    }
  }
}
if (bad) process.stdout.write('CI: not green\n');
process.stdout.write(`${parts.join(', ')}\n`);
process.exitCode = bad ? 1 : 0;
