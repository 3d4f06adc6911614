// The program was copied to /notes, and is started where it lay in the other stage.
//
//kata:caught-by TestExecForm
package dockerfile
