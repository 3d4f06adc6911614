// Leaves the store out of go.work, and nobody notices: the published one is used.
//
//kata:caught-by TestWorkspace
package workspace
