// A finding of govulncheck is forgiven until somebody has time.
//
//kata:caught-by TestFailures
package githubactions
