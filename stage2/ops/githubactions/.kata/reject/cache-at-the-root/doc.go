// setup-go looks for go.sum at the root, finds none and caches nothing; it only says so in the log.
//
//kata:caught-by TestCache
package githubactions
