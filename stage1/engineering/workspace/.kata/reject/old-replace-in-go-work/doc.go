// Mends the go.mod files and leaves a replacement by a folder in go.work.
//
//kata:caught-by TestNoReplace
package workspace
