// The title is checked on pushes too, where there is none.
//
//kata:caught-by TestUntrusted
package githubactions
