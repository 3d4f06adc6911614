// Keeps a replacement of a version that is not in use: it does nothing, until somebody requires that version.
//
//kata:caught-by TestNoReplace
package workspace
