// An action is pinned by a tag, which its owner, or who has stolen his token, may move.
//
//kata:caught-by TestPinned
package githubactions
