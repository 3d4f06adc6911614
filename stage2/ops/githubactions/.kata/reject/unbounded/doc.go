// A job has no time limit: a test that hangs costs six hours of macOS.
//
//kata:caught-by TestBounded
package githubactions
