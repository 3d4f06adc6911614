// Still imports what is internal to the store.
//
//kata:caught-by TestInternal TestAlone
package workspace
