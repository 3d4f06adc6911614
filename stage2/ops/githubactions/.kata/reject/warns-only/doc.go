// A failure is turned into a warning in the log.
//
//kata:caught-by TestFailures
package githubactions
