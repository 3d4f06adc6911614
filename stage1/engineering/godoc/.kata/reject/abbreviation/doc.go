// Writes "e.g." in the first sentence: for the tools the sentence ends there.
//
//kata:caught-by TestGoDoc
package godoc
