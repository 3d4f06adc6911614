// setup-go's cache is on by default: the release is built from what some other run has left there.
//
//kata:caught-by TestCleanRelease
package githubactions
