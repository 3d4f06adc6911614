// Moves the api below the path of the store, so that the internal package may be imported.
//
//kata:caught-by TestInternal
package workspace
