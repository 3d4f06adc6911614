// Uses a link text without the line that says where it leads.
//
//kata:caught-by TestLinks
package godoc
