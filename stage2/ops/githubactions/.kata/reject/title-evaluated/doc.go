// The variable is quoted, and then a second shell reads it.
//
//kata:caught-by TestUntrusted
package githubactions
