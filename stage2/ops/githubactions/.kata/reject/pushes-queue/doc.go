// Pushes are not cancelled, but share a group: of those that wait only the newest is kept.
//
//kata:caught-by TestConcurrency
package githubactions
