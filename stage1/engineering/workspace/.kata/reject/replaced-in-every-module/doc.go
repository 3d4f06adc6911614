// Keeps the replacements by folders: they work as long as the whole repository is there.
//
//kata:caught-by TestAlone TestNoReplace
package workspace
