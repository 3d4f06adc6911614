// The variable is not quoted: the shell splits it into words and expands its stars.
//
//kata:caught-by TestUntrusted
package githubactions
