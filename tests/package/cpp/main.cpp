// main.cpp - an outside program in C++: argv: the version it expects, a model directory, a device.
//
// It wraps the engine the way a C++ program would, reads what the model is, and has the error
// thrown.
// SPDX-License-Identifier: Apache-2.0
#include <imagen_editor.h>

#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>

struct close_engine {
    void operator()(ie_engine *engine) const
    {
        ie_engine_close(&engine);
    }
};
using engine_pointer = std::unique_ptr<ie_engine, close_engine>;

static engine_pointer open_engine(const char *model, const char *device)
{
    ie_options options;
    ie_options_default(&options);
    options.device = device;
    ie_engine *engine = nullptr;
    ie_error err = {};
    if (ie_engine_open(&engine, model, &options, &err) != IE_OK) throw std::runtime_error(err.text);
    return engine_pointer(engine);
}

static bool throws(const char *model, const char *device)
{
    try {
        open_engine(model, device);
    } catch (const std::runtime_error &e) {
        std::printf("open: %s\n", e.what());
        return std::string(e.what()).find(model) != std::string::npos;
    }
    return false;
}

int main(int argc, char **argv)
{
    if (argc != 4) return 2;
    std::printf("version: %s\n", ie_version());
    if (std::string(ie_version()) != argv[1] || !throws("/nonexistent/model", argv[3])) return 1;

    const engine_pointer engine = open_engine(argv[2], "plan");
    ie_engine_info info = {};
    ie_engine_describe(engine.get(), &info);
    std::printf("model: %s, %d stages, canvas %d\n", info.model_name, info.stage_count,
                info.canvas);
    return info.stage_count > 0 && info.canvas > 0 ? 0 : 1;
}
