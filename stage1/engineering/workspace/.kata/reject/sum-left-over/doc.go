// Adds the new checksums to go.sum and keeps those of a version that is needed no longer.
//
//kata:caught-by TestTidy
package workspace
