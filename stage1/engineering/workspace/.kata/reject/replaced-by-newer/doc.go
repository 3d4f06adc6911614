// Requires the old version of the store and replaces it by the new one: the main module sees no difference, nobody else sees the replacement.
//
//kata:caught-by TestNoReplace
package workspace
