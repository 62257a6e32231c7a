typedef int ie_to_be_written;
