// Has examples without expected output: they are compiled and never run.
//
//kata:caught-by TestExamples
package godoc
