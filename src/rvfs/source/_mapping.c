/*
 * A file as memory, which survives that somebody makes the file shorter.
 *
 * A touch of a mapped page that the file has no longer is a SIGBUS, which ends a process. Here
 * its handler puts a page of zeros into that place, as systemd's journal does, and the mapping
 * notes which place it was: `torn`. Whoever reads looks at it before believing what was read.
 * For every other SIGBUS the handler steps aside for the one that was there before.
 *
 * The handler may run in any thread at any time, so it walks a list whose entries are filled
 * before they are linked and are never freed, only used again.
 */
#define PY_SSIZE_T_CLEAN
#define _GNU_SOURCE
#include <Python.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* Beyond the end of the file are so many zeros at least: texts are read in words. */
#define BEHIND 8

struct region {
	_Atomic(char *) base; /* NULL: not in use */
	size_t size;
	_Atomic(int64_t) torn;
	struct region *next;
};

typedef struct {
	PyObject_HEAD
	struct region *region;
	Py_ssize_t size;
} Mapping;

static _Atomic(struct region *) regions;
static struct sigaction before;
static size_t page;

static void take_over(int number, siginfo_t *info, void *context)
{
	char *at = info->si_addr;
	struct region *region;
	int kept = errno;

	for (region = info->si_code > 0 ? regions : NULL; region; region = region->next) {
		char *base = region->base;

		if (base && at >= base && at < base + region->size) {
			int64_t place = (at - base) / page * page, torn = region->torn;

			if (mmap(base + place, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
				 -1, 0) == MAP_FAILED)
				break;
			if (torn < 0 || place < torn)
				region->torn = place;
			errno = kept;
			return;
		}
	}
	sigaction(SIGBUS, &before, NULL);
	if (info->si_code <= 0)
		raise(number);
}

static struct region *unused_region(void)
{
	struct region *region;

	for (region = regions; region; region = region->next)
		if (!region->base)
			return region;
	region = PyMem_RawCalloc(1, sizeof(*region));
	if (region) {
		region->next = regions;
		regions = region;
	}
	return region;
}

/* The file's pages over zeros, of which some are left behind them. */
static char *map(int descriptor, size_t size, size_t room)
{
	char *base = mmap(NULL, room, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (base == MAP_FAILED)
		return NULL;
	if (size && mmap(base, size, PROT_READ, MAP_SHARED | MAP_FIXED, descriptor, 0) == MAP_FAILED) {
		int kept = errno;

		munmap(base, room);
		errno = kept;
		return NULL;
	}
	return base;
}

static PyObject *mapping_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
	struct region *region;
	Py_ssize_t size;
	Mapping *self;
	int descriptor;
	char *base;
	size_t room;

	if (!PyArg_ParseTuple(arguments, "in", &descriptor, &size))
		return NULL;
	region = unused_region();
	if (!region)
		return PyErr_NoMemory();
	room = ((size_t)size + BEHIND + page - 1) / page * page;
	base = map(descriptor, size, room);
	if (!base)
		return PyErr_SetFromErrno(PyExc_OSError);
	self = (Mapping *)type->tp_alloc(type, 0);
	if (!self) {
		munmap(base, room);
		return NULL;
	}
	region->size = room;
	region->torn = -1;
	region->base = base;
	self->region = region;
	self->size = size;
	return (PyObject *)self;
}

static void mapping_dealloc(Mapping *self)
{
	if (self->region) {
		char *base = self->region->base;

		munmap(base, self->region->size);
		self->region->base = NULL;
	}
	Py_TYPE(self)->tp_free(self);
}

static int mapping_buffer(Mapping *self, Py_buffer *view, int flags)
{
	return PyBuffer_FillInfo(view, (PyObject *)self, self->region->base, self->size, 1, flags);
}

static PyObject *mapping_torn(Mapping *self, void *closure)
{
	return PyLong_FromLongLong(self->region->torn);
}

static PyObject *mapping_leave(Mapping *self, PyObject *arguments)
{
	Py_ssize_t start, stop;

	if (!PyArg_ParseTuple(arguments, "nn", &start, &stop))
		return NULL;
	start = Py_MAX(start, 0) / page * page;
	stop = Py_MIN(stop, self->size) / page * page;
	if (start < stop)
		madvise(self->region->base + start, stop - start, MADV_DONTNEED);
	Py_RETURN_NONE;
}

static PyBufferProcs mapping_as_buffer = { (getbufferproc)mapping_buffer, NULL };

static PyGetSetDef mapping_attributes[] = {
	{ "torn", (getter)mapping_torn, NULL, "The first place that the file had no longer; or -1." },
	{ NULL },
};

static PyMethodDef mapping_methods[] = {
	{ "leave", (PyCFunction)mapping_leave, METH_VARARGS, "These bytes need not stay resident." },
	{ NULL },
};

static PyTypeObject MappingType = {
	PyVarObject_HEAD_INIT(NULL, 0)
	.tp_name = "rvfs.source._mapping.Mapping",
	.tp_doc = "Mapping(descriptor, size): the bytes of a file. Raises OSError.",
	.tp_basicsize = sizeof(Mapping),
	.tp_flags = Py_TPFLAGS_DEFAULT,
	.tp_new = mapping_new,
	.tp_dealloc = (destructor)mapping_dealloc,
	.tp_as_buffer = &mapping_as_buffer,
	.tp_getset = mapping_attributes,
	.tp_methods = mapping_methods,
};

static struct PyModuleDef module = { PyModuleDef_HEAD_INIT, "_mapping", NULL, -1, NULL };

PyMODINIT_FUNC PyInit__mapping(void)
{
	struct sigaction ours = { .sa_sigaction = take_over, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	PyObject *self;

	page = sysconf(_SC_PAGESIZE);
	if (PyType_Ready(&MappingType) < 0)
		return NULL;
	self = PyModule_Create(&module);
	if (self && PyModule_AddObjectRef(self, "Mapping", (PyObject *)&MappingType) < 0)
		Py_CLEAR(self);
	if (self && sigaction(SIGBUS, &ours, &before) < 0) {
		PyErr_SetFromErrno(PyExc_OSError);
		Py_CLEAR(self);
	}
	return self;
}
