// Indents the code of the comment by spaces and forgets the empty line: gofmt and go doc see a paragraph.
//
//kata:caught-by TestGoDoc
package godoc
