// Adds an example for a name that does not exist: go vet complains, and it is shown nowhere.
//
//kata:caught-by TestExamples
package godoc
