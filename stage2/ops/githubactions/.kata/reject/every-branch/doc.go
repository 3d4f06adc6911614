// Pushes are not filtered: each commit of a pull request runs twice.
//
//kata:caught-by TestTriggers
package githubactions
