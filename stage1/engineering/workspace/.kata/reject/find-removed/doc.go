// Looks items up in the api itself, and takes Find out of the store, which nobody in the repository calls any more.
//
//kata:caught-by TestInternal
package workspace
