// The key changes with every commit: the cache is written each time and never found.
//
//kata:caught-by TestCache
package githubactions
