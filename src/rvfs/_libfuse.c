/*
 * What pyfuse3 does not pass on: this stands between it and libfuse.
 *
 * It is loaded before pyfuse3, for everybody to see (RTLD_GLOBAL), and so pyfuse3's calls of
 * three functions of libfuse end here first; all go on to libfuse's own.
 *
 * 1. Where opendir is answered with ENOSYS the kernel keeps listings and asks no more for
 *    descriptors of folders (FUSE_NO_OPENDIR_SUPPORT, since Linux 5.1). A readdir has no
 *    descriptor then, and pyfuse3 tells its handler nothing else; so here the descriptor of a
 *    folder is its inode.
 * 2. A close sends a flush only where the descriptor has the bit FLUSHED (FOPEN_NOFLUSH for all
 *    others, since Linux 5.16).
 * 3. A read that fills the page cache (sendfile, splice, a private mapping) has the bit CACHED
 *    in its descriptor: it has no lock owner, which a read(2) of a file without cache has.
 * 4. A request is read without asking first whether there is one (a poll(2) less for each), and
 *    without waiting: where there was none pyfuse3 is told that it was interrupted, and begins
 *    anew; ready() then looks, and says whether to wait.
 *
 * Only what is in libfuse's public header is used. Where the linker has it otherwise (a libfuse
 * that has renamed these, a pyfuse3 loaded before) active() stays false and nothing changes.
 */
#define PY_SSIZE_T_CLEAN
#define FUSE_USE_VERSION 32
#define _GNU_SOURCE
#include <Python.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <poll.h>

#define FLUSHED (1ULL << 62)
#define CACHED (1ULL << 61)

static struct fuse_lowlevel_ops operations;
static void (*readdirplus)(fuse_req_t, fuse_ino_t, size_t, off_t, struct fuse_file_info *);
static void (*read_)(fuse_req_t, fuse_ino_t, size_t, off_t, struct fuse_file_info *);
static __typeof__(fuse_session_new) *session_new;
static __typeof__(fuse_reply_open) *reply_open;
static __typeof__(fuse_session_receive_buf) *receive_buf;
static int active;
static enum { BLOCKING, FULL, EMPTY } queue; /* of requests, as it was when last read */

static void readdirplus_of_inode(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
				 struct fuse_file_info *fi)
{
	fi->fh = ino;
	readdirplus(req, ino, size, off, fi);
}

static void read_or_fill(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
			 struct fuse_file_info *fi)
{
	if (!fi->lock_owner)
		fi->fh |= CACHED;
	read_(req, ino, size, off, fi);
}

struct fuse_session *fuse_session_new(struct fuse_args *args, const struct fuse_lowlevel_ops *op,
				      size_t op_size, void *userdata)
{
	if (op_size <= sizeof(operations) && op->readdirplus && op->read) {
		memcpy(&operations, op, op_size);
		readdirplus = op->readdirplus;
		operations.readdirplus = readdirplus_of_inode;
		read_ = op->read;
		operations.read = read_or_fill;
		op = &operations;
		active = 1;
	}
	return session_new(args, op, op_size, userdata);
}

int fuse_reply_open(fuse_req_t req, const struct fuse_file_info *fi)
{
	struct fuse_file_info told = *fi;

	told.noflush = !(fi->fh & FLUSHED);
	return reply_open(req, &told);
}

int fuse_session_receive_buf(struct fuse_session *se, struct fuse_buf *buf)
{
	int fd = fuse_session_fd(se), got;

	if (queue == BLOCKING)
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	got = receive_buf(se, buf);
	queue = got == -EAGAIN ? EMPTY : FULL;
	return queue == EMPTY ? -EINTR : got;
}

static PyObject *is_active(PyObject *self, PyObject *arguments)
{
	return PyBool_FromLong(active);
}

static PyObject *ready(PyObject *self, PyObject *descriptor)
{
	struct pollfd asked = { .fd = PyLong_AsLong(descriptor), .events = POLLIN };

	if (queue == FULL)
		Py_RETURN_TRUE;
	return PyBool_FromLong(poll(&asked, 1, 0) != 0);
}

static PyMethodDef methods[] = {
	{ "ready", ready, METH_O, "Whether to read the descriptor now; keeps the GIL." },
	{ "active", is_active, METH_NOARGS, "Whether the mount of this process goes through here." },
	{ NULL },
};

static struct PyModuleDef module = { PyModuleDef_HEAD_INIT, "_libfuse", NULL, -1, methods };

PyMODINIT_FUNC PyInit__libfuse(void)
{
	PyObject *self;

	session_new = dlsym(RTLD_NEXT, "fuse_session_new");
	reply_open = dlsym(RTLD_NEXT, "fuse_reply_open");
	receive_buf = dlsym(RTLD_NEXT, "fuse_session_receive_buf");
	if (!session_new || !reply_open || !receive_buf) {
		PyErr_SetString(PyExc_ImportError, "libfuse has no fuse_session_new");
		return NULL;
	}
	self = PyModule_Create(&module);
	if (self) {
		PyModule_AddObject(self, "FLUSHED", PyLong_FromUnsignedLongLong(FLUSHED));
		PyModule_AddObject(self, "CACHED", PyLong_FromUnsignedLongLong(CACHED));
	}
	return self;
}
