// The commits stand there alone: nobody sees which version they are, and nobody updates them.
//
//kata:caught-by TestPinned
package githubactions
