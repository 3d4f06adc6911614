// Lists what is needed indirectly like what is imported.
//
//kata:caught-by TestTidy
package workspace
