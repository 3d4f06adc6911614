// The release waits for the tests, and not for govulncheck.
//
//kata:caught-by TestFailures
package githubactions
