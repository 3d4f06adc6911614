// Moves the store to version 2 and lets the api go on adding up in version 1.
//
//kata:caught-by TestMajorVersion
package workspace
