// The matrix has two releases of Go, and setup-go is given one.
//
//kata:caught-by TestRace
package githubactions
