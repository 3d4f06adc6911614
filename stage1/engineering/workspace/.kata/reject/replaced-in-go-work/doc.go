// Replaces the store in go.work instead of using it.
//
//kata:caught-by TestNoReplace TestWorkspace
package workspace
