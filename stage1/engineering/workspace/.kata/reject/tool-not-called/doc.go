// Adds the tool directive, and go generate still runs whatever is the latest.
//
//kata:caught-by TestTool
package workspace
