// The status of a pipe is that of tee: without a named shell there is no pipefail, and failing tests pass.
//
//kata:caught-by TestFailures
package githubactions
