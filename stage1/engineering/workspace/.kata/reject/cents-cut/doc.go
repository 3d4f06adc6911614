// Moves to integers by cutting the cents off.
//
//kata:caught-by TestReceipt
package workspace
