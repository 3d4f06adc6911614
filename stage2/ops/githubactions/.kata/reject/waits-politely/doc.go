// Runs of a pull request share a group, and the newer waits for the older.
//
//kata:caught-by TestConcurrency
package githubactions
