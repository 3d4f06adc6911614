// Leaves go 1.24 in go.work, lower than what the modules ask for.
//
//kata:caught-by TestWorkspace TestReceipt
package workspace
