// Marks names with backticks, as in Markdown, and links nothing.
//
//kata:caught-by TestLinks
package godoc
