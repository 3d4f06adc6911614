// Writes fragments without an end: the first sentence runs on into the next paragraph.
//
//kata:caught-by TestEveryName
package godoc
