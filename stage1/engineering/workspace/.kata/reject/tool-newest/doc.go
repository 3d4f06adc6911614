// Takes the newest version of the tool, which writes nothing without a configuration file.
//
//kata:caught-by TestTool
package workspace
