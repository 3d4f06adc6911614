// Actions are pinned, and the tool that a script fetches is whatever was published this morning.
//
//kata:caught-by TestPinned
package githubactions
