// Pins the tool in the comment: go run downloads it each time, and go.mod and go.sum know nothing of it.
//
//kata:caught-by TestTool
package workspace
