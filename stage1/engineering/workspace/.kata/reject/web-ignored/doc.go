// Ignores the whole folder, a package of its own included: ./... no longer vets or tests it.
//
//kata:caught-by TestIgnore
package workspace
