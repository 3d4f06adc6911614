// The credential is written by echo, before the download: it stands in the layer, in the history of the image and in version control.
//
//kata:caught-by TestNoSecretInLayers
package dockerfile
